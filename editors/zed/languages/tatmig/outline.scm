(section
  (atx_heading
    . (_) @context
    . (_) @name)) @item
