-- Whether the participant came; NULL: not noted.
ALTER TABLE registrations ADD COLUMN attendance VARCHAR(16) NULL
    CHECK (attendance IN ('present', 'absent', 'excused'));
