"""Processes that are pinned, watched and surely ended; their CPU time.

CPU time is read from the POSIX CPU-time clock of each process (what clock_getcpuclockid(3) names): the kernel's
own run time in nanoseconds, user and system, of all threads, those that have ended included. /proc/PID/stat has
the same sum in ticks of 10 ms, /proc/PID/task/*/schedstat has nanoseconds but forgets threads that ended.
"""

import ctypes
import os
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
CPUCLOCK_SCHED = 2


class Failed(Exception):
    """A row cannot be measured; the text says why."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stat_fields(pid):
    """The fields of /proc/PID/stat behind the command name: state, ppid, …; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def born(pid):
    """When a process started: with the pid, its identity."""
    fields = stat_fields(pid)
    return fields[19] if fields and fields[0] != "Z" else None


def family(pid):
    """The process and its descendants."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := stat_fields(name)):
            children.setdefault(int(fields[1]), []).append(int(name))
    found, open_ends = [], [pid]
    while open_ends:
        one = open_ends.pop()
        found.append(one)
        open_ends += children.get(one, [])
    return sorted(found)


def cpu_seconds(pid):
    return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)


def user_system_seconds(pid):
    """Only for the split of the sum; in ticks."""
    fields = stat_fields(pid)
    tick = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / tick, int(fields[12]) / tick


def core_busy_seconds(core):
    """What a core has done for anybody, stolen time included."""
    with open("/proc/stat", encoding="ascii") as file:
        for line in file:
            name, *values = line.split()
            if name == f"cpu{core}":
                user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, values[:8])
                return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return 0.0


class Processes:
    """All that was started; `with` ends them, whatever happened."""

    def __init__(self):
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A second Ctrl-C must not leave a proxy behind.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for process in reversed(self.started):
            self.stop(process)
        signal.signal(signal.SIGINT, before)

    def start(self, argv, core, log, environment=None):
        """On one core, or on a set of cores."""
        cores = {core} if isinstance(core, int) else core
        parent = os.getpid()
        libc = ctypes.CDLL(None)

        def pinned():
            os.sched_setaffinity(0, cores)
            # Should this script be killed outright, its children end too.
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        # A session of its own: Ctrl-C reaches this script alone, which then ends them in order.
        with open(log, "ab") as output:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=pinned, env=environment,
            )
        self.started.append(process)
        return process

    def stop(self, process):
        """Asks first; then ends the process and what it started, by pid."""
        if process not in self.started:
            return
        self.started.remove(process)
        if process.poll() is not None:
            return
        tree = [(pid, born(pid)) for pid in family(process.pid)]
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pid, birth in tree:
            if birth and born(pid) == birth:
                os.kill(pid, signal.SIGKILL)


def wait_for_port(process, port, log, seconds=15):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failed(f"ended with status {process.returncode} at start: {tail(log)}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise Failed(f"did not listen within {seconds} s: {tail(log)}")


def tail(log, lines=5):
    with open(log, encoding="utf-8", errors="replace") as file:
        return "\n    ".join(["", *file.read().strip().splitlines()[-lines:]]) or "(it wrote nothing)"
