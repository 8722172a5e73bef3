"""Every read that is more than `.get()`. Pages, API and exports ask here; nothing in here writes."""
