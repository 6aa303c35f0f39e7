-- Opens a document in a real Neovim with tatmig.lua and asserts what the server answers:
-- findings, completion, hover, definition, a code action that is applied, and a command.
-- Run by test.sh, with `tatmig` on PATH and in a directory with MIGRATIONS.md.

local TIME_LIMIT = 20000

local function report(what)
  io.stdout:write('ok: ', what, '\n')
end

local function main()
  local here = vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':p:h')
  vim.cmd('filetype plugin on')
  dofile(here .. '/tatmig.lua')

  -- Another Markdown file gets no server.
  vim.cmd('edit NOTES.md')
  vim.cmd('edit MIGRATIONS.md')
  local buffer = vim.api.nvim_get_current_buf()

  local function client()
    local list = (vim.lsp.get_clients or vim.lsp.get_active_clients)()
    return list[1]
  end
  local function wait(what, condition)
    assert(vim.wait(TIME_LIMIT, condition, 20), what .. ' did not arrive')
    report(what)
  end
  wait('the server', function()
    return client() and client().server_capabilities and vim.lsp.buf_is_attached(buffer, client().id)
  end)
  assert(not vim.lsp.buf_is_attached(vim.fn.bufnr('NOTES.md'), client().id), 'NOTES.md has no migrations')

  local function text()
    return table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, false), '\n')
  end
  -- Puts the cursor on the first character of a text.
  local function go_to(wanted)
    for number, line in ipairs(vim.api.nvim_buf_get_lines(buffer, 0, -1, false)) do
      local at = line:find(wanted, 1, true)
      if at then
        vim.api.nvim_win_set_cursor(0, { number, at - 1 })
        return number - 1, at - 1
      end
    end
    error(wanted .. ' is not in the document')
  end
  local function position()
    local encoding = client().offset_encoding
    return vim.lsp.util.make_position_params(0, encoding)
  end
  local function request(method, params)
    local answers, failure = vim.lsp.buf_request_sync(buffer, method, params, TIME_LIMIT)
    assert(answers, method .. ': ' .. tostring(failure))
    local answer = answers[client().id]
    assert(answer and not answer.err and not answer.error, method .. ': ' .. vim.inspect(answer))
    return answer.result
  end
  local function findings(rule)
    return vim.tbl_filter(function(finding)
      return finding.code == rule or (finding.user_data and finding.user_data.lsp.code == rule)
    end, vim.diagnostic.get(buffer))
  end

  wait('the finding of a statement that cannot be run twice', function()
    return #findings('not-rerunnable') == 1
  end)
  -- A finding that came twice, published and requested, would be here by then.
  vim.wait(1000)
  assert(#vim.diagnostic.get(buffer) == 1, vim.inspect(vim.diagnostic.get(buffer)))
  assert(findings('not-rerunnable')[1].lnum == go_to('CREATE TABLE labels'), 'it is at its statement')

  go_to('notes ADD COLUMN')
  local hover = request('textDocument/hover', position())
  assert(hover.contents.value:find('CREATE TABLE notes', 1, true), vim.inspect(hover))
  assert(hover.contents.value:find('created in `1.0.0`', 1, true), vim.inspect(hover))
  report('hover')

  local definition = request('textDocument/definition', position())
  assert(#definition >= 1, vim.inspect(definition))
  report('definition')

  -- Types a new statement, and completes in it.
  local line = go_to('CREATE TABLE labels')
  vim.api.nvim_buf_set_lines(buffer, line, line, false, { 'UPDATE notes SET ' })
  vim.api.nvim_win_set_cursor(0, { line + 1, 16 })
  local params = position()
  params.position.character = 17
  local completion = request('textDocument/completion', params)
  local labels = vim.tbl_map(function(item)
    return item.label
  end, completion.items or completion)
  for _, column in ipairs({ 'body', 'pinned' }) do
    assert(vim.tbl_contains(labels, column), column .. ' is not in ' .. vim.inspect(labels))
  end
  assert(not vim.tbl_contains(labels, 'name'), 'the table that is created below has no place here')
  report('completion')
  vim.api.nvim_buf_set_lines(buffer, line, line + 1, false, {})

  -- The change for the finding, applied as the editor does it.
  wait('the finding after the edit', function()
    return #findings('not-rerunnable') == 1
  end)
  go_to('CREATE TABLE labels')
  local range = position()
  local actions = request('textDocument/codeAction', {
    textDocument = range.textDocument,
    range = { start = range.position, ['end'] = range.position },
    context = { diagnostics = {} },
  })
  local fix
  for _, action in ipairs(actions) do
    if action.edit and vim.inspect(action.edit):find('IF NOT EXISTS', 1, true) then
      fix = action
    end
  end
  assert(fix, vim.inspect(actions))
  local before = text()
  vim.lsp.util.apply_workspace_edit(fix.edit, client().offset_encoding)
  local expected = before:gsub('CREATE TABLE labels', 'CREATE TABLE IF NOT EXISTS labels')
  assert(text() == expected, text())
  wait('no finding after the code action', function()
    return #vim.diagnostic.get(buffer) == 0
  end)

  local lenses = request('textDocument/codeLens', { textDocument = range.textDocument })
  local test
  for _, lens in ipairs(lenses) do
    test = lens.command.command == 'tatmig.test' and lens.command or test
  end
  assert(test, vim.inspect(lenses))
  vim.cmd('silent write')
  local message = request('workspace/executeCommand', { command = test.command, arguments = test.arguments })
  assert(type(message) == 'string' and #message > 0, vim.inspect(message))
  report('code lens `test`: ' .. message)

  local symbols = request('textDocument/documentSymbol', { textDocument = range.textDocument })
  assert(#symbols[1].children == 2, vim.inspect(symbols))
  report('outline')
end

local succeeded, failure = xpcall(main, debug.traceback)
if not succeeded then
  io.stderr:write(failure, '\n')
  vim.cmd('cquit 1')
end
vim.cmd('qall!')
