"""What a control script is made of: the workflow and its tasks."""
