-- When a registration moved up from the waitlist; NULL: never, or before this was noted.
ALTER TABLE registrations ADD COLUMN seated_at BIGINT;
-- When someone last left the waitlist of a program, so that places changed; NULL: as above.
ALTER TABLE programs ADD COLUMN waitlist_moved_at BIGINT;
