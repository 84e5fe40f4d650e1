"""A user's first problem: the template under a name of its own."""

import keyword
from pathlib import Path

from problems.errors import UserError

TEMPLATE = Path(__file__).with_name("problem.py")


def write_template(name: str, folder: Path) -> Path:
    """Write `NAME.py`, a commented problem that runs as it stands, and return its path.

    Raises:
        UserError: The name can't be a module's, or the file can't be written or is there.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or not name.isascii():
        raise UserError(
            f"{name!r} can't name a Python file; use letters, digits and '_', such as my_problem"
        )
    path = folder / f"{name}.py"
    text = TEMPLATE.read_text(encoding="utf-8")
    text = text.replace('name="template"', f'name="{name}"').replace("template.py", path.name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{path} is there already; choose another name or folder") from None
    except OSError as error:
        raise UserError(
            f"{path} can't be written ({error.strerror}); give --folder a folder of your own"
        ) from error
    return path
