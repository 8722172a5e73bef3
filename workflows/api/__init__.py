"""The REST API: thin; one query call or one lifecycle call, one response."""
