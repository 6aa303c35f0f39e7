-- Starts `tatmig lsp` for MIGRATIONS.md: with `vim.lsp.config` on Neovim 0.11 and newer, else with
-- `vim.lsp.start` (0.8 and newer) or `vim.lsp.start_client` (0.7).

local files = { 'MIGRATIONS.md' }
local config = { name = 'tatmig', cmd = { 'tatmig', 'lsp' } }

-- Whether a buffer holds a document with migrations.
local function is_document(buffer)
  local path = vim.api.nvim_buf_get_name(buffer)
  return vim.tbl_contains(files, vim.fn.fnamemodify(path, ':t'))
end

-- The directory of tatmig.toml, or that of the document.
local function root_of(buffer)
  local directory = vim.fn.fnamemodify(vim.api.nvim_buf_get_name(buffer), ':p:h')
  local settings = vim.fn.findfile('tatmig.toml', vim.fn.escape(directory, ' ;,') .. ';')
  return settings ~= '' and vim.fn.fnamemodify(settings, ':p:h') or directory
end

if vim.lsp.config then
  config.filetypes = { 'markdown' }
  config.root_dir = function(buffer, start)
    if is_document(buffer) then
      start(root_of(buffer))
    end
  end
  vim.lsp.config('tatmig', config)
  vim.lsp.enable('tatmig')
else
  local clients = {}
  vim.api.nvim_create_autocmd('FileType', {
    pattern = 'markdown',
    callback = function(event)
      if not is_document(event.buf) then
        return
      end
      if vim.fn.executable(config.cmd[1]) == 0 then
        vim.notify('`' .. config.cmd[1] .. '` is not on PATH: install tatmig', vim.log.levels.WARN)
        return
      end
      local root = root_of(event.buf)
      local with_root = vim.tbl_extend('force', config, { root_dir = root })
      if vim.lsp.start then
        vim.lsp.start(with_root)
        return
      end
      with_root.on_exit = function()
        clients[root] = nil
      end
      clients[root] = clients[root] or vim.lsp.start_client(with_root)
      vim.lsp.buf_attach_client(event.buf, clients[root])
    end,
  })
end
