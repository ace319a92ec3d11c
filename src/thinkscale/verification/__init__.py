"""The verifier: rules, then symbols, programs and judges, each asked only for what the one before could not decide."""
