// The result of a run: one JSON object of numbers on one line.
#pragma once

#include <cstdio>
#include <string>

#include "histogram.hpp"

class Report {
public:
    void add(const std::string& name, double value) {
        char text[32];
        std::snprintf(text, sizeof text, "%.10g", value);
        addField(name, text);
    }

    void add(const std::string& name, uint64_t value) { addField(name, std::to_string(value)); }

    void addLatencies(const Histogram& latencies) {
        add("p50_us", latencies.percentileMicroseconds(50));
        add("p99_us", latencies.percentileMicroseconds(99));
        add("max_us", latencies.maxMicroseconds());
    }

    // Why the run does not count. Free of quotes and control characters.
    void addError(const std::string& text) { addField("error", '"' + text + '"'); }

    void print() const { std::printf("{%s}\n", fields_.c_str()); }

private:
    void addField(const std::string& name, const std::string& value) {
        if (!fields_.empty()) fields_ += ", ";
        fields_ += '"' + name + "\": " + value;
    }

    std::string fields_;
};
