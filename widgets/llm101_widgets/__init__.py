"""The widgets of the book: one folder, one widget.

They import neither torch nor llm101: they take plain values, bytes, or any object with the small
protocol that each one's docstring names.

    bill_calculator       BillCalculator: what a training run takes, in hours, dollars and CO2
    chat_console          ChatConsole: talk with a chat model, and see what it really reads
    completion_console    CompletionConsole: type a beginning, watch a model on this machine go on
    system_map            SystemMap: the whole system as a map; each box shows the real object
    parameter_microscope  ParameterMicroscope: from the file to one tensor, to one number, to its bits
    token_playground      TokenizerPlayground: several tokenizers at work on the text that is typed
    merge_replay          MergeReplay: how a tokenizer learned its pieces, merge by merge
    inference_stepper     InferenceStepper: a text grows token by token; what else it could have been
    feature_browser       FeatureBrowser: the latents of an autoencoder, searched by word
    layer_grid            LayerGrid: numbers by layer and position, each cell with what stands behind it
    steering_console      SteeringConsole: the same beginning and seed, with and without steering
    training_film         TrainingFilm: a training run that is over, moment by moment
    training_monitor      TrainingMonitor: the curves, speed and samples of a training run as it goes on
    heat_map, map_picture what the microscope and the map compute in Python, and the pictures they leave behind
    svg                   the white page under every other still picture, text that it may hold, its place in an output
    limits                the numbers that a reader may set
    writing               what the consoles share, whose models write in a thread
    page                  what all share in the page, joined with what each has of its own
"""

from llm101_widgets.bill_calculator import BillCalculator
from llm101_widgets.chat_console import ChatConsole
from llm101_widgets.completion_console import CompletionConsole
from llm101_widgets.feature_browser import FeatureBrowser
from llm101_widgets.inference_stepper import InferenceStepper
from llm101_widgets.layer_grid import LayerGrid
from llm101_widgets.merge_replay import MergeReplay
from llm101_widgets.parameter_microscope import ParameterMicroscope
from llm101_widgets.steering_console import SteeringConsole
from llm101_widgets.system_map import SystemMap
from llm101_widgets.token_playground import TokenizerPlayground
from llm101_widgets.training_film import TrainingFilm
from llm101_widgets.training_monitor import TrainingMonitor

__all__ = [
    "BillCalculator",
    "ChatConsole",
    "CompletionConsole",
    "FeatureBrowser",
    "InferenceStepper",
    "LayerGrid",
    "MergeReplay",
    "ParameterMicroscope",
    "SteeringConsole",
    "SystemMap",
    "TokenizerPlayground",
    "TrainingFilm",
    "TrainingMonitor",
]
