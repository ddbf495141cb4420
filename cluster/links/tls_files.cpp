#include "cluster/links/tls_files.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace warp::cluster::links {

void free_tls_context::operator()(ssl_ctx_st* context) const noexcept {
  SSL_CTX_free(context);
}

std::string tls_error_text() {
  std::string text;
  while (const auto code = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(code);
    if (!text.empty()) text += ", ";
    text += reason ? reason : fmt::format("error {:08x}", code);
  }
  return text.empty() ? "no reason given" : text;
}

op_result<tls_context> load(const tls_files& files) {
  const auto cannot = [](const char* what, const std::string& file) {
    return op_status{
        op_code::invalid_argument,
        fmt::format("{} {}: {}", what, file.empty() ? "(not named)" : file, tls_error_text())};
  };
  ERR_clear_error();
  tls_context context{SSL_CTX_new(TLS_method())};
  if (!context) return op_status{op_code::unavailable, "TLS: " + tls_error_text()};
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1)
    return cannot("the certificate", files.certificate);
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1)
    return cannot("the key", files.key);
  if (SSL_CTX_load_verify_locations(context.get(), files.authority.c_str(), nullptr) != 1)
    return cannot("the authority's certificate", files.authority);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return context;
}

} // namespace warp::cluster::links
