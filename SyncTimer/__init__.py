"""Timer function: fires the nightly run."""

import azure.functions as func


def main(timer: func.TimerRequest) -> None:
    """Start the nightly run, take it up again, or return at once when it is finished.

    Raises:
        PhotoSyncError: the run ended early; the invocation fails, so that it is seen.
    """
    del timer
    # Imported here, because the libraries behind it would slow the load of the function.
    from shared.app import open_app  # noqa: PLC0415
    from shared.sync.nightly import fire  # noqa: PLC0415

    fire(open_app())
