[
  (atx_heading)
  (setext_heading)
] @title

[
  (fenced_code_block_delimiter)
  (info_string)
] @punctuation.embedded.markup

[
  (list_marker_plus)
  (list_marker_minus)
  (list_marker_star)
  (list_marker_dot)
  (list_marker_parenthesis)
] @punctuation.list_marker.markup
