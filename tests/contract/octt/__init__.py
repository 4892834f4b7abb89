"""What the public cases of all OCPP versions share: the depot at work, its REST API, and what any station does."""
