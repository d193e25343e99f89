"""How an asset says that the user must mend something."""

import dagster as dg


def user_error(message: object) -> dg.Failure:
    """A failure that a retry would not mend, shown as one line."""
    return dg.Failure(description=" ".join(str(message).split()), allow_retries=False)
