"""The parameters: all that a model's files say.

Reading order: number.py (16 bits, taken apart), safetensors_format.py (how a file is laid out), parameter_file.py
(opened, listed, read, changed, copied, recognised; model_headers.py: a model in several files); gguf_format.py (the
other format), quantised.py and quantised_block.py (its packed numbers). Then what a model is: hugging_face_config.py
(config.json; config_keys.py: what may stand in it) or gguf_config.py, stored_names.py (under which names a file has its
tensors), and model_folder.py (all that a folder says, put to work by filling.py; and a folder written).
"""

from llm101.parameters.errors import ParameterFileError
from llm101.parameters.number import Number
from llm101.parameters.parameter_file import ParameterFile
from llm101.parameters.quantised_block import QuantisedBlock
from llm101.parameters.safetensors_format import write_parameters
from llm101.parameters.tensor_entry import TensorEntry

__all__ = ["Number", "ParameterFile", "ParameterFileError", "QuantisedBlock", "TensorEntry", "write_parameters"]
