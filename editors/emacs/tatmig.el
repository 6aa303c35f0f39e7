;;; tatmig.el --- Language server for MIGRATIONS.md  -*- lexical-binding: t; -*-

;; Starts `tatmig lsp' with Eglot for files named MIGRATIONS.md. Other Markdown files start no server.

;;; Code:

(require 'eglot)
;; A package of its own, from NonGNU ELPA or MELPA. Without it the text has no colours.
(require 'markdown-mode nil t)

(defvar tatmig-program "tatmig"
  "The program, found on `exec-path' unless it is a whole path.")

(if (fboundp 'markdown-mode)
    (define-derived-mode tatmig-mode markdown-mode "tatmig"
      "Major mode for a document with migrations.")
  (define-derived-mode tatmig-mode text-mode "tatmig"
    "Major mode for a document with migrations."))

;; SQL in fences has its colours.
(add-hook 'tatmig-mode-hook (lambda () (setq-local markdown-fontify-code-blocks-natively t)))
(add-hook 'tatmig-mode-hook #'eglot-ensure)

(put 'tatmig-mode 'eglot-language-id "markdown")
(add-to-list 'auto-mode-alist '("/MIGRATIONS\\.md\\'" . tatmig-mode))
(add-to-list 'eglot-server-programs
             (cons 'tatmig-mode (lambda (&rest _) (list tatmig-program "lsp"))))

(provide 'tatmig)
;;; tatmig.el ends here
