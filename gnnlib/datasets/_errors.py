"""What can go wrong between a dataset's name and its graphs."""


class DatasetError(ValueError):
    """A dataset file is damaged, forged or not in its format; nothing of it is used."""


class DownloadError(DatasetError):
    """A dataset file is neither in the cache nor to be had from the mirror or from upstream."""


class CacheError(DatasetError, PermissionError):
    """The folder for datasets cannot be written."""
