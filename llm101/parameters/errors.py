"""The two ways in which a model's files are refused; one line says why and what to do."""


class ParameterFileError(ValueError):
    """A parameter file that cannot be used, or a question about it that has no answer."""


class ModelFolderError(ValueError):
    """A model folder that cannot be read or written."""
