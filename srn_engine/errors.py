"""What the engine says to a person when it cannot do what was asked."""


class UserError(Exception):
    """Something the user can put right; the message is one sentence that says what to do."""
