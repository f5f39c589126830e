"""The API told to machines: every route says what it takes and gives; `/openapi.json` is made from the routes themselves."""
