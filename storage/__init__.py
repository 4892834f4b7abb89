"""Where facts rest: engine, unit of work, migrations. Knows no room's tables."""
