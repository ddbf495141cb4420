#pragma once

#include <string>
#include <string_view>

namespace warp {

/// Base64 (RFC 4648, with padding) of any bytes.
[[nodiscard]] std::string to_base64(std::string_view bytes);
/// False when `text` is no base64 (with padding, unused bits zero): each value has one text.
[[nodiscard]] bool from_base64(std::string_view text, std::string& out);

} // namespace warp
