"""When schedules fire: decisions only, no clock, no store."""
