"""A small partner service with effects that can be counted: tables, rides, messages, jobs and letters."""
