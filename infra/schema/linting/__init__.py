"""What lint knows of pending revisions: squawk's rules, and what the graph knows beside them."""
