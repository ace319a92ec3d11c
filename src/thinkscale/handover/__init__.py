"""Hand-over: training examples as the rows and configurations that other tools read as they are."""
