"""The parameters: all that a model's files say.

Reading order: number.py (16 bits, taken apart), safetensors_format.py (how a file is laid out), parameter_file.py
(opened, listed, read, changed, copied); then hugging_face_config.py (config.json) and model_folder.py (a folder put
to work, and written).
"""

from llm101.parameters.number import Number
from llm101.parameters.parameter_file import ParameterFile
from llm101.parameters.safetensors_format import ParameterFileError, TensorEntry, write_parameters

__all__ = ["Number", "ParameterFile", "ParameterFileError", "TensorEntry", "write_parameters"]
