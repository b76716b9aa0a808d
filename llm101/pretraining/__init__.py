"""Pre-training: data in, parameters out.

    recipe.py      every choice that is not the model's shape or its data
    rows.py        which stretch of the corpus is seen at which step
    optimizer.py   how far each parameter moves
    pretrainer.py  the loop (moment.py: what it tells of each step; interruption.py: when it may not be stopped)
    device.py      where the arithmetic runs, in which precision, on how many threads
    memory.py      how much of it training takes
    evaluation.py  how well it predicts what it never saw, in bits per byte
    run_folder.py  what is on disk meanwhile, such that no crash ruins it
    run_record.py  which of it a run made, and may therefore replace
    workers.py     several processes, one model
    preparation.py text becomes a tokenizer and a corpus
    run.py         all of it strung together, from text to model folder
    live.py        a run in the background, to be watched, paused and stopped
    race.py        a small model and a recipe, as quick as we know how; what each ingredient is worth
    scaling_law.py how low the loss will be, from size and tokens

Reading order: as listed; `llm101 pretrain` calls run.py, and chapter 04 calls live.py.
"""

from llm101.pretraining.evaluation import Evaluation, evaluate
from llm101.pretraining.live import LiveRun
from llm101.pretraining.moment import Moment
from llm101.pretraining.pretrainer import Pretrainer, PretrainingError
from llm101.pretraining.recipe import Recipe
from llm101.pretraining.run_folder import RunFolder, RunFolderError

__all__ = [
    "Evaluation",
    "LiveRun",
    "Moment",
    "Pretrainer",
    "PretrainingError",
    "Recipe",
    "RunFolder",
    "RunFolderError",
    "evaluate",
]
