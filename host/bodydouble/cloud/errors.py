"""What goes wrong: errors that a client of the service sees, and errors that the user who starts it sees."""

from __future__ import annotations

from bodydouble.errors import CloudError, InputError

# Bedrock's error codes and their HTTP status (botocore's service model of bedrock-runtime; the last three are
# what AWS front doors answer before an operation is known).
STATUS = {
    "AccessDeniedException": 403,
    "InternalServerException": 500,
    "ModelErrorException": 424,
    "ModelNotReadyException": 429,
    "ModelStreamErrorException": 424,
    "ModelTimeoutException": 408,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 400,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "ValidationException": 400,
    "RequestEntityTooLargeException": 413,
    "RequestTimeoutException": 408,
    "UnknownOperationException": 404,
}


class ServiceError(Exception):
    """What the service answers instead of a completion; never leaves the service."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = STATUS[code]


def invalid(message: str) -> ServiceError:
    """A ValidationException."""
    return ServiceError("ValidationException", message)


class CloudStartError(CloudError):
    """The simulated service could not start."""


class FleetError(InputError):
    """The fleet's text cannot be read, or names a chip that is not in the catalogue."""


class ModelNameError(InputError):
    """No such model in the catalogue."""


class MemoryFitError(InputError):
    """The model's weights and cache do not fit into the fleet's memory."""


class FaultError(InputError):
    """The fault's text cannot be read."""
