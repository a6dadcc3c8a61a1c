#include "first.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>

#include "failure.hpp"
#include "loop.hpp"
#include "unary.hpp"

namespace {

pid_t start(std::vector<std::string> command) {
    std::vector<char*> arguments;
    for (auto& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t process;
    const int error = posix_spawnp(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw Failure("cannot run " + command[0]);
    return process;
}

void stop(pid_t process) {
    kill(process, SIGTERM);
    for (int tries = 0; tries < 500; ++tries) {
        if (waitpid(process, nullptr, WNOHANG) != 0) return;
        usleep(10'000);
    }
    kill(process, SIGKILL);
    waitpid(process, nullptr, 0);
}

// One call, if the server listens already.
bool answers(const Options& options) {
    try {
        Unary unary(options);
        unary.run();
        return unary.sound();
    } catch (const Failure&) {
        return false;
    }
}

}  // namespace

Report first(const Options& options) {
    if (options.command.empty()) throw Failure("no command after --");
    auto call = options;
    call.connections = call.streams = call.messages = 1;
    call.warmUp = 0;

    const auto begun = monotonicNow();
    const auto process = start(options.command);
    bool answered = false;
    while (!answered && monotonicNow() - begun < options.patience * 1000 * millisecond) {
        answered = answers(call);
        if (!answered) usleep(100);
    }
    const auto took = monotonicNow() - begun;
    stop(process);
    if (!answered) throw Failure("the server has not answered a first call");

    Report report;
    report.add("first_answer_ms", static_cast<double>(took) / 1e6);
    return report;
}
