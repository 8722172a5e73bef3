"""What a workflow is and how it moves: models, state machine, lifecycle, scheduling, pages, API."""
