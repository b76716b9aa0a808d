"""The parameters: all that a model's files say.

Reading order: number.py (16 bits, taken apart), safetensors_format.py (how a file is laid out), parameter_file.py
(opened, listed, read, changed, copied, recognised; shard_index.py: a model in several files); then
hugging_face_config.py (config.json; config_keys.py: what may stand in it) and model_folder.py (all that a folder says,
put to work by filling.py; and a folder written).
"""

from llm101.parameters.errors import ParameterFileError
from llm101.parameters.number import Number
from llm101.parameters.parameter_file import ParameterFile
from llm101.parameters.safetensors_format import TensorEntry, write_parameters

__all__ = ["Number", "ParameterFile", "ParameterFileError", "TensorEntry", "write_parameters"]
