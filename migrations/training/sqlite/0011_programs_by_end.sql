-- Which programs are not over: those that one may register for are among them.
CREATE INDEX programs_by_end ON programs (ends_at);
