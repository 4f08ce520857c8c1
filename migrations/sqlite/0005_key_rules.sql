-- What the user has chosen about a key besides its label: its project, tier, weight and models,
-- as JSON. A key without a row has chosen nothing.
CREATE TABLE key_rules (
    key_id INTEGER NOT NULL PRIMARY KEY,
    rules  TEXT    NOT NULL
) STRICT;
