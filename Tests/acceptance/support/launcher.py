"""Starts programs, and ends them at the end of the test."""

from typing import TypeVar

from support.processes import Client, Program, Server

AnyProgram = TypeVar("AnyProgram", bound=Program)


class Launcher:
    """Starts programs for one test, and ends those that the test leaves running."""

    def __init__(self) -> None:
        self._programs: list[Program] = []

    def server(self, *arguments: str, **settings: object) -> Server:
        return self._keep(Server(*arguments, **settings))

    def client(self, server: str, *arguments: str, **settings: object) -> Client:
        return self._keep(Client(server, *arguments, **settings))

    def program(self, name: str, *arguments: str, **settings: object) -> Program:
        return self._keep(Program(name, *arguments, **settings))

    def _keep(self, program: AnyProgram) -> AnyProgram:
        self._programs.append(program)
        return program

    def forget(self, program: Program) -> None:
        """Ends a program before the end of the test."""
        self._programs.remove(program)
        program.close()

    def logs(self) -> str:
        """The end of each program's log."""
        return "\n".join(
            f"log of {program.name} (process {program.pid}):\n{program.last_lines()}" for program in self._programs
        )

    def close(self) -> None:
        for program in self._programs:
            program.close()
