#pragma once

#include "messages/status.hpp"

#include <memory>
#include <string>

extern "C" struct ssl_ctx_st; // OpenSSL's SSL_CTX

namespace warp::cluster::links {

/// With which certificates nodes talk to each other: PEM files. Whoever has a certificate of this
/// authority is let in: use an authority of its own for each cluster. Whoever connects also looks
/// for `name` among the certificate's DNS names (subjectAltName); it is the same for all nodes,
/// since addresses change.
struct tls_files {
  std::string certificate; ///< this node's, with those between it and the authority
  std::string key;         ///< of the certificate, without a passphrase
  std::string authority;   ///< who signed the certificates of all nodes
  std::string name = "warpengine-node";

  friend bool operator==(const tls_files&, const tls_files&) = default;
};

struct free_tls_context {
  void operator()(ssl_ctx_st* context) const noexcept;
};
using tls_context = std::unique_ptr<ssl_ctx_st, free_tls_context>;

/// A context that shows our certificate and asks for the peer's. invalid_argument names the file
/// that cannot be used, and why. Any thread.
op_result<tls_context> load(const tls_files& files);

/// What OpenSSL complained about last on this thread, for people; empties its list.
[[nodiscard]] std::string tls_error_text();

} // namespace warp::cluster::links
