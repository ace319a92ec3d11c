"""What a server needs of GPUs, and the command that starts it. See plan.py and vllm.py."""
