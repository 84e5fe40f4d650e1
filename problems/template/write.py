"""Writing of the template under a name that the user gives."""

import keyword
from pathlib import Path

from problems.errors import UserError

TEMPLATE = Path(__file__).with_name("problem.py")


def write_template(name: str, folder: Path) -> Path:
    """Write the template as `NAME.py` and return its path.

    Raises:
        UserError: The name is no Python identifier, or the file exists or can't be written.
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
        raise UserError(f"{path} exists already; choose another name or folder") from None
    except OSError as error:
        raise UserError(
            f"{path} can't be written ({error.strerror}); give another --folder"
        ) from error
    return path
