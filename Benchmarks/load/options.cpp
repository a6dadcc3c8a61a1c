#include "options.hpp"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

namespace {

constexpr const char* help = R"(usage: messenger-load MODE [--OPTION NUMBER]...

Modes:
  fanout   readers get what senders send, each sender having a window of messages on their way
  burst    the same, with bursts of messages sent at once, each after the last has arrived everywhere
  paced    the same, at a fixed rate
  unary    SendMessage calls, a number of them at a time
  idle     opens readers and holds them
  first    runs the server's command after `--`, and times it from exec to its first answer

Options:
  --port         of the server, on the loopback interface (51075)
  --servers      of one room, at this port and those after it; connections go to each in turn (1)
  --pid          of the server, for its processor time and memory; once for each of several
  --readers      streams of ReadMessages (100)
  --connections  that the readers, or the unary calls, are spread over (1)
  --senders      each on a connection of its own (4)
  --window       messages of a sender that are not yet with every reader (4)
  --messages     or calls, to be measured (10000)
  --warm-up      messages or calls before (100)
  --burst        messages at once (300)
  --rate         messages in a second (10)
  --stalled      further readers, each with a connection of its own, that never grant flow-control window (0)
  --stalled-sockets 1  these grant it, but never read from their sockets
  --streams      unary calls at a time on a connection (1)
  --keyed 1      each call has an idempotency key of its own
  --text-bytes   length of a message's text (32)
  --seconds      how long to hold idle readers (5)
  --patience     seconds without any news after which a run has failed (10)

Prints one JSON object. Ends with 1 if anything was lost, duplicated, reordered or altered.
)";

[[noreturn]] void usage(const std::string& problem) {
    std::fprintf(stderr, "%s\n\n%s", problem.c_str(), help);
    std::exit(64);
}

template <typename Number>
void parse(const std::string& name, const char* text, Number& number) {
    const auto* end = text + std::strlen(text);
    const auto result = std::from_chars(text, end, number);
    if (result.ec != std::errc() || result.ptr != end) usage(name + ": '" + text + "' is not a number in its range");
}

}  // namespace

Options parseOptions(int count, char** arguments) {
    Options options;
    if (count < 2) usage("which mode?");
    options.mode = arguments[1];
    const std::map<std::string, uint32_t*> numbers{
        {"--readers", &options.readers},   {"--connections", &options.connections}, {"--senders", &options.senders},
        {"--window", &options.window},     {"--messages", &options.messages},       {"--warm-up", &options.warmUp},
        {"--burst", &options.burst},       {"--rate", &options.rate},               {"--stalled", &options.stalled},
        {"--streams", &options.streams},   {"--text-bytes", &options.textBytes},    {"--seconds", &options.seconds},
        {"--patience", &options.patience}, {"--servers", &options.servers},
    };
    for (int index = 2; index < count; index += 2) {
        const std::string name = arguments[index];
        if (name == "--") {
            options.command.assign(arguments + index + 1, arguments + count);
            break;
        }
        if (index + 1 == count) usage(name + ": its value is missing");
        const auto* text = arguments[index + 1];
        if (name == "--port") {
            parse(name, text, options.port);
        } else if (name == "--pid") {
            parse(name, text, options.pids.emplace_back());
        } else if (name == "--stalled-sockets") {
            options.stalledSockets = std::strcmp(text, "0") != 0;
        } else if (name == "--keyed") {
            options.keyed = std::strcmp(text, "0") != 0;
        } else if (const auto found = numbers.find(name); found != numbers.end()) {
            parse(name, text, *found->second);
        } else {
            usage(name + ": no such option");
        }
    }
    for (auto* least : {&options.readers, &options.connections, &options.senders, &options.window, &options.messages,
                        &options.burst, &options.rate, &options.streams, &options.patience, &options.servers}) {
        if (*least == 0) usage("only --warm-up, --stalled, --text-bytes and --seconds can be 0");
    }
    return options;
}
