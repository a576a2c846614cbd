DROP TABLE calendar_event_attendees;
DROP TABLE calendar_events;
