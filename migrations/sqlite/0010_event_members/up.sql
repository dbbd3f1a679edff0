-- The users that `members:ID` in event_rooms means: the members when the event was committed, as a JSON list. NULL if the event has no such room, or
-- was stored by a version without this column; then the members now count.
ALTER TABLE events ADD COLUMN members_json TEXT;
