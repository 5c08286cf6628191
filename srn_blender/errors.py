"""What goes wrong through no fault of the program, said to the person in front of it."""


class UserError(Exception):
    """Carries one sentence that says what to do; operators report it, scripts print it."""


class CaptureChanged(UserError):
    """What is to be captured is no longer what the views on disk show; starting anew would help."""
