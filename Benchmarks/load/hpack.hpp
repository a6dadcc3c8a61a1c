// A call's request headers in HPACK: in full on a connection's first call, as indices on the later ones, as clients do.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

class HeaderEncoder {
public:
    std::string request(std::string_view path, std::string_view authority) {
        std::string out = "\x83\x86";  // :method: POST, :scheme: http
        field(out, 4, ":path", path);
        field(out, 1, ":authority", authority);
        field(out, 31, "content-type", "application/grpc");
        field(out, 0, "te", "trailers");
        return out;
    }

private:
    static constexpr size_t staticEntries = 61;

    // `nameIndex` is the name's place in the static table, or 0 if it has none. All lengths here are below 127.
    void field(std::string& out, unsigned nameIndex, std::string_view name, std::string_view value) {
        for (size_t index = 0; index < table_.size(); ++index) {
            if (table_[index].first != name || table_[index].second != value) continue;
            out.push_back(static_cast<char>(0x80 | (staticEntries + table_.size() - index)));
            return;
        }
        out.push_back(static_cast<char>(0x40 | nameIndex));
        if (nameIndex == 0) put(out, name);
        put(out, value);
        table_.emplace_back(name, value);
    }

    static void put(std::string& out, std::string_view text) {
        out.push_back(static_cast<char>(text.size()));
        out.append(text);
    }

    // The dynamic table, oldest entry first. It stays far below the 4,096 bytes that every peer grants.
    std::vector<std::pair<std::string, std::string>> table_;
};
