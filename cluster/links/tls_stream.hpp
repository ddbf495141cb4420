#pragma once

#include "cluster/links/tls_files.hpp"

#include <kj/async-io.h>
#include <kj/compat/tls.h>
#include <optional>

namespace warp::cluster::links {

/// KJ's TLS with our files, for both ends. Throws kj::Exception where they cannot be used.
kj::Own<kj::TlsContext> make_tls(const tls_files& files);

/// Shakes hands where there is a context; `name`: that the server's certificate must have.
kj::Promise<kj::Own<kj::AsyncIoStream>> secure_server(kj::Maybe<kj::Own<kj::TlsContext>>& tls,
                                                      kj::Own<kj::AsyncIoStream> stream);
kj::Promise<kj::Own<kj::AsyncIoStream>> secure_client(kj::Maybe<kj::Own<kj::TlsContext>>& tls,
                                                      const std::string& name,
                                                      kj::Own<kj::AsyncIoStream> stream);

} // namespace warp::cluster::links
