"""The one tool of the test agents: a command for the shell."""

import os
import subprocess

NAME = "run_command"
DESCRIPTION = "Run a command in a shell and return its exit code and output."
SCHEMA = {
    "type": "object",
    "properties": {"command": {"type": "string"}},
    "required": ["command"],
    "additionalProperties": False,
}


def run(arguments):
    """Runs the command; the result reads `exit N`, then what it printed."""
    done = subprocess.run(
        ["sh", "-c", arguments["command"]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return f"exit {done.returncode}\n{done.stdout}"


def gate():
    """Waits until nobody holds the pipe `GATE` open for writing any more, where a test asks for it."""
    if path := os.environ.get("GATE"):
        with open(path, "rb") as pipe:
            pipe.read()


def task(agent):
    gate()
    return f"Count the lines of notes.txt, then look for the missing file. You are agent-{agent}."
