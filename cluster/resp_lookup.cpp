#include "cluster/resp_lookup.hpp"

#include "cluster/resp_io_thread.hpp"

namespace warp::cluster {

resp_view::key_view look_up(resp_call& c, std::string_view key) {
  const auto v = c.keys.get(key);
  c.thread.note_lookup(v.present);
  return v;
}

resp_view::key_view look_up_text(resp_call& c, std::string_view key) {
  const auto v = c.keys.text(key);
  c.thread.note_lookup(v.present || c.keys.is_of_wrong_type());
  return v;
}

void write_text(resp_call& c, const resp_view::key_view& text) {
  if (text.present)
    c.out.bulk(text.value);
  else
    c.out.null();
}

} // namespace warp::cluster
