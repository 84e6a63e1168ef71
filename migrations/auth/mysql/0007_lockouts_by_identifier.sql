-- A subject is identifier:<HMAC of what was typed>, whether an account has it or not (user_id is
-- then whose), device:<user id>:<device id>, or devices:<user id> for all further devices.

-- Counted by account until now; it would have been forgotten within a day or two.
DELETE FROM lockouts WHERE subject NOT LIKE 'device:%';
