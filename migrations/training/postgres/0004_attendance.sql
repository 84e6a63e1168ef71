-- Whether the participant came; NULL: not noted.
ALTER TABLE registrations ADD COLUMN attendance TEXT
    CHECK (attendance IN ('present', 'absent', 'excused'));
