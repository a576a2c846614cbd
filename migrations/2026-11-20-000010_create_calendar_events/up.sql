CREATE TABLE calendar_events (
    id              TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    owner_id        TEXT NOT NULL REFERENCES patients (id),
    type            TEXT NOT NULL CHECK (type IN ('plan-check-in', 'reminder', 'telephone-call', 'office-visit', 'video-call')),
    time_zone       TEXT NOT NULL,
    all_day         BOOLEAN NOT NULL,
    start_at        TIMESTAMP NOT NULL,
    end_at          TIMESTAMP,
    title           TEXT NOT NULL,
    location        TEXT,
    description     TEXT,
    completed_at    TIMESTAMP,
    completed_by    TEXT REFERENCES coaches (id),
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL,
    created_by      TEXT,
    updated_by      TEXT,
    CHECK ((completed_at IS NULL) = (completed_by IS NULL))
);

CREATE INDEX calendar_events_by_organization ON calendar_events (organization_id, id);
CREATE INDEX calendar_events_by_start_at ON calendar_events (organization_id, start_at, id);
CREATE INDEX calendar_events_by_updated_at ON calendar_events (organization_id, updated_at, id);
CREATE INDEX calendar_events_by_owner ON calendar_events (owner_id, id);

CREATE TABLE calendar_event_attendees (
    id              TEXT PRIMARY KEY NOT NULL,
    event_id        TEXT NOT NULL REFERENCES calendar_events (id),
    coach_id        TEXT REFERENCES coaches (id),
    patient_id      TEXT REFERENCES patients (id),
    response_status TEXT NOT NULL CHECK (response_status IN ('needsAction', 'declined', 'tentative', 'accepted')),
    position        INTEGER NOT NULL,
    CHECK ((coach_id IS NULL) <> (patient_id IS NULL))
);

CREATE INDEX calendar_event_attendees_by_event ON calendar_event_attendees (event_id, position);
CREATE UNIQUE INDEX calendar_event_attendees_by_coach ON calendar_event_attendees (coach_id, event_id);
CREATE UNIQUE INDEX calendar_event_attendees_by_patient ON calendar_event_attendees (patient_id, event_id);
