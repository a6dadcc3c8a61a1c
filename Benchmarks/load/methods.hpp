#pragma once

#include <string_view>

namespace methods {
constexpr std::string_view sendMessage = "/mes_grpc.MessengerServer/SendMessage";
constexpr std::string_view readMessages = "/mes_grpc.MessengerServer/ReadMessages";
}  // namespace methods
